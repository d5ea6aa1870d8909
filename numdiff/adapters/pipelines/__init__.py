"""diffusers pipelines: loaded safely, driven sample by sample, their images kept in a folder that can be gone on with.

``loading.load`` opens a folder in the hub's format or a hub id; ``generate.generate`` draws one image for each seed,
the same in whatever batch; ``image_folder`` writes images, a page of them and the record that repeats them. ``numdiff
sample --pipeline`` is made of these three.
"""
