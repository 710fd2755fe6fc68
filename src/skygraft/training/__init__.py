"""Training of satellite encoders against photo embeddings."""

from skygraft.core.torchvision_shim import ensure_torchvision

# Lightning's metrics import torchvision, which needs help beside some CPU builds of torch.
ensure_torchvision()
