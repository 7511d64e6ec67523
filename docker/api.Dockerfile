# The image of the service's own processes: API, capacity watcher, migrations, jobs. It has neither torch nor CUDA, because
# the models run in the inference tier.
#   docker build -f docker/api.Dockerfile -t voice-api:VERSION .
# To run models in this image on CPUs, add --build-arg MODELS=--default (or ids from `manage.py models`).
# The base image is pinned by the digest of its index; docs/releases.md says how to move to a newer one.
FROM python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3 AS packages
COPY requirements.txt /
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --disable-pip-version-check -r /requirements.txt

# Compiles the native library. On Arm there is none, and CTranslate2 does the work.
FROM python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3 AS native
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
COPY asr/native /native
RUN [ "$(uname -m)" != x86_64 ] || python /native/build.py --strict

FROM python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin voice \
    && install --directory --owner=voice --group=voice --mode=0700 /state
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
COPY --from=native /native asr/native
ARG MODELS=""
# hadolint ignore=SC2086
RUN [ -z "$MODELS" ] || { VOICE_STATE_DIR=/tmp/state VOICE_MODELS_DIR=/models /venv/bin/python manage.py models install $MODELS \
    && rm -rf /tmp/state; }
ENV PATH=/venv/bin:$PATH \
    HOME=/state \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    VOICE_STATE_DIR=/state \
    VOICE_MODELS_DIR=/models \
    VOICE_HOST=0.0.0.0
RUN python -m compileall -q /app
USER 10001:10001
EXPOSE 8000
# For plain Docker; Kubernetes has its own probes. Use --no-healthcheck for processes that serve no requests, such as the
# watcher.
HEALTHCHECK --start-period=60s --interval=10s --timeout=5s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
# Python itself can be process 1, because it handles SIGTERM and has no child processes to reap.
ENTRYPOINT ["python", "manage.py"]
CMD ["serve"]
