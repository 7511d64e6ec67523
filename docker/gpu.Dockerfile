# The image of the inference tier: Whisper on CTranslate2, and Coqui's voices, in Ray Serve replicas on NVIDIA GPUs.
# The models are part of the image, so going back to the previous tag also brings back the previous models.
#   docker build -f docker/gpu.Dockerfile --build-context models=DIRECTORY -t voice-gpu:VERSION .
# MODELS are ids that `manage.py models` lists. They are installed, and their hashes are checked. DIRECTORY contains other
# models: a Coqui checkpoint in `coqui/`, and your own Whisper models. A listed model that DIRECTORY contains as `ID/` is
# not fetched again. No CUDA base image is needed, because all CUDA libraries come with the Python packages, pinned like
# the others. The machine provides the driver and the container toolkit, which read the variables NVIDIA_… below.
FROM scratch AS models

FROM python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3 AS packages
COPY requirements-gpu.txt /
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --disable-pip-version-check -r /requirements-gpu.txt

FROM python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3
# KubeRay's probes call wget. KubeRay starts Ray in a login shell, which resets PATH, so the profile sets it again.
# hadolint ignore=DL3008,SC2016
RUN apt-get update \
    && apt-get install -y --no-install-recommends wget \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin voice \
    && install --directory --owner=voice --group=voice --mode=0700 /state \
    && echo 'export PATH=/venv/bin:$PATH' >/etc/profile.d/venv.sh
COPY --from=packages /venv /venv
WORKDIR /app
COPY manage.py ./
COPY asr asr
COPY capacity capacity
COPY core core
COPY dashboard dashboard
COPY gateway gateway
COPY inference inference
COPY model_store model_store
COPY rollout rollout
COPY spoken_text spoken_text
COPY locale locale
COPY static static
COPY templates templates
COPY tts tts
COPY usage usage
COPY voiceproject voiceproject
COPY --from=models / /models/
ARG MODELS="whisper-large-v3-turbo kokoro-82m"
# hadolint ignore=SC2086
RUN VOICE_STATE_DIR=/tmp/state VOICE_MODELS_DIR=/models /venv/bin/python manage.py models install $MODELS \
    && rm -rf /tmp/state
ENV PATH=/venv/bin:$PATH \
    HOME=/state \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    LD_LIBRARY_PATH=/venv/lib/python3.11/site-packages/nvidia/cublas/lib \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    DJANGO_SETTINGS_MODULE=voiceproject.settings \
    VOICE_STATE_DIR=/state \
    VOICE_MODELS_DIR=/models \
    RAY_USAGE_STATS_ENABLED=0
RUN python -m compileall -q /app
USER 10001:10001
# No HEALTHCHECK and no command, because KubeRay sets them for every container.
