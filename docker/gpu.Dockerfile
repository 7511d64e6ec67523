# The inference tier: Whisper on CTranslate2 and Coqui's voices in Ray Serve replicas on NVIDIA GPUs.
# The models are part of the image, so that a model has a version, and going back to the one before is a tag.
#   docker build -f docker/gpu.Dockerfile --build-context models=DIRECTORY -t voice-gpu:1.0.0 .
# MODELS are installed as `manage.py models` knows them, checked by their hashes. DIRECTORY holds what it does not know:
# `coqui/` (a Coqui checkpoint), Whisper models of your own; and, as `ID/`, what need not be fetched again.
FROM scratch AS models

# CTranslate2 wants CUDA 12's cuBLAS from here; torch brings all of its own.
FROM nvidia/cuda:12.8.1-runtime-ubuntu24.04
# wget: KubeRay's probes call it.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv wget \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin voice \
    && install --directory --owner=voice --group=voice --mode=0700 /state
COPY requirements.txt requirements-coqui.txt requirements-cluster.txt /requirements/
RUN python3 -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check \
        -r /requirements/requirements.txt -r /requirements/requirements-coqui.txt \
        -r /requirements/requirements-cluster.txt \
    && ln -s /venv/bin/ray /venv/bin/serve /venv/bin/python /usr/local/bin/
# KubeRay starts Ray by a login shell, which may set PATH anew: hence the links above.
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
    DJANGO_SETTINGS_MODULE=voiceproject.settings \
    VOICE_STATE_DIR=/state \
    VOICE_MODELS_DIR=/models \
    RAY_USAGE_STATS_ENABLED=0
RUN python -m compileall -q /app
USER 10001:10001
# No HEALTHCHECK and no command: KubeRay gives every container its own.
