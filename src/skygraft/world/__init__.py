"""The embedded world: landscape, photos, scenes, services, teacher."""
