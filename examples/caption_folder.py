"""Captions a folder, shows what came out, and exports it. Stop it whenever you like: started again, it resumes.

python examples/caption_folder.py VIDEOS CAPTIONS SET          # in this process
python examples/caption_folder.py VIDEOS CAPTIONS SET ray      # with Ray, on all GPUs of this host
"""

import sys

from framescribe import Dataset, caption

videos, captions, target, executor = [*sys.argv[1:], "local"][:4]
print(caption(videos, captions, executor=executor, rows_per_shard=4))  # a kill loses 4 captions at most

dataset = Dataset(captions)
good = "caption_status = 'success' AND len(flags) = 0"
print(dataset.count(good), "good captions; the longest:")
for row in dataset.rows(good, order_by="output_tokens DESC", limit=3):
    print(f"{row['source_video']}: {row['caption']}")
print(dataset.export("diffsynth", target, where=good, overwrite=True))
