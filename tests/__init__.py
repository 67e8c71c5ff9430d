import os

import torch

# Triton asks for it when a kernel is defined: before anything imports Triton.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"
