import bpy

settings = getattr(bpy.context.scene, "srn")  # noqa: B009

settings.rig = "sphere"
settings.train_views = 50
settings.val_views = 0
settings.test_views = 251
settings.size = 128
settings.samples = 64
settings.focal_length = 36.914
settings.distance = 1.04
