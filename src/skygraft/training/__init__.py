"""Training of satellite encoders against photo embeddings."""

from skygraft.core.threads import wait_asleep
from skygraft.core.torchvision_shim import ensure_torchvision

wait_asleep()
# Lightning's metrics import torchvision, which needs help beside some CPU builds of torch.
ensure_torchvision()
