import bpy

settings = getattr(bpy.context.scene, "srn")  # noqa: B009

settings.rig = "sphere"
settings.train_views = 200
settings.val_views = 10
settings.test_views = 50
settings.size = 512
settings.samples = 64
