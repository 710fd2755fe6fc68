"""Image and text encoders: the frozen CLIP, and the satellite towers that learn from it."""

from skygraft.core.memory import take_large_pages
from skygraft.core.threads import wait_asleep

wait_asleep()
take_large_pages()
