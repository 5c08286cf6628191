import bpy

settings = getattr(bpy.context.scene, "srn")  # noqa: B009

settings.rig = "sphere"
settings.train_views = 32
settings.val_views = 4
settings.test_views = 4
settings.size = 64
settings.samples = 8
