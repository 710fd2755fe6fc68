"""The embedded world: a drawn landscape with its photos, satellite scenes, services and teacher."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from skygraft.config.base import Section, operation


class TeacherTraining(Section):
    """How the world's teacher, a small CLIP, is trained on captioned photos of another landscape."""

    epochs: int = Field(8, ge=1, description="passes over the captioned photos")
    batch_size: int = Field(128, ge=2, description="photos a step")
    learning_rate: float = Field(1e-3, gt=0, description="AdamW's peak rate")


class World(Section):
    """The embedded world. A configuration with this section downloads nothing: its verbs talk to the world's own services."""

    seed: int = Field(1, ge=0, description="draws the landscape and everything on it")
    points: int = Field(1600, ge=20, description="LUCAS points, balanced over the ten classes")
    chips: int = Field(2400, ge=100, description="images of the EuroSAT-format archive")
    captioned_photos: int = Field(4000, ge=100, description="photos with captions that teach the teacher")
    heldout_photos: int = Field(800, ge=50, description="photos that score the teacher")
    flickr_photos: int = Field(600, ge=20, description="photos of the world's Flickr, indoor pictures, copies and wrong places included")
    teacher: TeacherTraining = TeacherTraining()
    workers: int = operation(2, "processes that draw", ge=1)
    torch_threads: int = Field(2, ge=1, description="threads of the teacher's training; equal threads give equal bytes")
    faults: Path | None = operation(None, "a file of faults that the services play (tests)")
    access_log: Path | None = operation(None, "a file that the services write one line a request to (tests)")
    token_seconds: int = operation(3600, "how long a signed address lives", ge=1)
