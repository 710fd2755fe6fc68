"""Scores with a protocol, a sample size and an interval."""

from skygraft.core.threads import wait_asleep

wait_asleep()
