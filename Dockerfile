# framescribe in a container, for CPUs or for NVIDIA GPUs:
#   docker build --target cpu -t framescribe:cpu .
#   docker build -t framescribe:cuda .
#   docker run --rm --gpus all -v "$PWD:/work" framescribe:cuda caption clips/ -o captions/
FROM python:3.12-slim-bookworm AS base
ENV PYTHONDONTWRITEBYTECODE=1
RUN useradd --uid 1000 --create-home framescribe && mkdir /work && chown framescribe /work
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY framescribe framescribe
ARG EXTRAS=quant,scores,review,s3,gcs

FROM base AS cpu
ARG EXTRAS
# hadolint ignore=DL3013  # pyproject.toml has the versions
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu "torch==2.13.0+cpu" ".[${EXTRAS}]"
USER 1000
WORKDIR /work
ENTRYPOINT ["framescribe"]
CMD ["--help"]

FROM base AS cuda
ARG EXTRAS
# `video` is the GPU's decoder.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
# hadolint ignore=DL3013  # pyproject.toml has the versions
RUN pip install --no-cache-dir ".[${EXTRAS}]"
USER 1000
WORKDIR /work
ENTRYPOINT ["framescribe"]
CMD ["--help"]
