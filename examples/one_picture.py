"""One picture through the library, without GNU Radio: ./run exec python examples/one_picture.py [PICTURE] [OUT.png]"""

import sys

import numpy as np
from PIL import Image

from tokcom.channel.model import ChannelModel, ChannelSettings
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import Transmitter
from tokcom.models.codebooks import codebook
from tokcom.models.recovery import load_recovery
from tokcom.models.zoo import load_tokenizer
from tokcom.tokenizers.pictures import load_picture, sample_pictures

picture, out = [*sys.argv[1:], *[None, None]][:2]
tokenizer = load_tokenizer("caltech64")
frame = tokenizer.tokenize(load_picture(picture or sample_pictures()[0]))
burst = Transmitter().transmit(frame, layout_seed=1)
channel = ChannelModel(ChannelSettings(snr_db=3.0, cfo_hz=2e3), sample_rate=1e6, seed=1)
receiver = Receiver([codebook("caltech64")], load_recovery("caltech64"))
for reception in receiver.receive(channel.process(np.pad(burst, 500))):
    received = tokenizer.detokenize(reception.recovered.frame)
    Image.fromarray(received).resize((256, 256)).save(out or "received.png")
    lost, wrong = (~reception.packets_ok).sum(), (reception.recovered.frame.tokens != frame.tokens).sum()
    print(f"{lost} of {len(reception.packets_ok)} packets failed, {wrong} of {len(frame.tokens)} tokens are wrong")
