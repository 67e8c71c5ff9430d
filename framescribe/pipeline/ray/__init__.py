"""A run on many GPUs and hosts: our stages on Ray Data. The only package that imports ray (the extra ``ray``).

``cluster.py`` finds and checks the hosts; ``clip_list.py`` holds a pass's clips where every host reads them;
``stages.py`` is what runs on the hosts, ``feeder.py`` its continuously fed engine; ``conductor.py`` runs the passes
inside the cluster and counts; ``job.py`` says what is captioned, and how it is spread.
"""
