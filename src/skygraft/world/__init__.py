"""The embedded world: landscape, photos, scenes, services, teacher."""

from skygraft.core.threads import wait_asleep

# The teacher learns on a machine where other jobs want the same cores.
wait_asleep()
