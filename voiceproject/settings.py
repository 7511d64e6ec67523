"""Every setting of the service, read from the environment here and nowhere else.

docs/configuration.md explains each setting. A test ensures that the page lists exactly the settings of this module.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core import mail_recipients
from core.state_directory import kept_secret
from voiceproject import VERSION
from voiceproject.environment import Environment, database_config
from voiceproject.setting_rules import broken_rules, usable

env = Environment()

VOICE_VERSION = VERSION
BASE_DIR = Path(__file__).resolve().parent.parent

# --- Conventional names ----------------------------------------------------------------------------------------------
VOICE_STATE_DIR = env.state_directory("VOICE_STATE_DIR", default=BASE_DIR / "var")
PORT: int = env.int("PORT", default=8000)
DEBUG: bool = env.bool("DEBUG", default=False)
SECRET_KEY: str = env.str("SECRET_KEY", default="") or kept_secret(VOICE_STATE_DIR / "secret_key")
DATABASE_URL: str = env.str("DATABASE_URL", default="") or f"sqlite:///{VOICE_STATE_DIR / 'voice.sqlite3'}"
REDIS_URL: str = env.str("REDIS_URL", default="")
OTEL_EXPORTER_OTLP_ENDPOINT: str = env.str("OTEL_EXPORTER_OTLP_ENDPOINT", default="")

# --- Serving ---------------------------------------------------------------------------------------------------------
VOICE_HOST: str = env.str("VOICE_HOST", default="127.0.0.1")
VOICE_ALLOWED_HOSTS: list[str] = env.list("VOICE_ALLOWED_HOSTS", default=["*"])
VOICE_TRUSTED_PROXIES: list[str] = env.list("VOICE_TRUSTED_PROXIES", default=["127.0.0.1"])
VOICE_CORS_ORIGINS: list[str] = env.list("VOICE_CORS_ORIGINS", default=[])
VOICE_CSRF_TRUSTED_ORIGINS: list[str] = env.list("VOICE_CSRF_TRUSTED_ORIGINS", default=[])
VOICE_GRACE_S: float = env.float("VOICE_GRACE_S", default=30.0)
VOICE_DEADLINE_S: float = env.float("VOICE_DEADLINE_S", default=300.0)
VOICE_CPU_THREADS: int = env.int("VOICE_CPU_THREADS", default=0)
VOICE_LOG_LEVEL: str = env.str("VOICE_LOG_LEVEL", default="INFO").upper()
VOICE_TIME_ZONE: str = env.str("VOICE_TIME_ZONE", default="Asia/Kuala_Lumpur")
VOICE_DATABASE_POOL: int = env.int("VOICE_DATABASE_POOL", default=8)
VOICE_DATABASE_OUTAGE_S: float = env.float("VOICE_DATABASE_OUTAGE_S", default=300.0)

# --- Limits ----------------------------------------------------------------------------------------------------------
VOICE_MAX_UPLOAD_BYTES: int = env.int("VOICE_MAX_UPLOAD_BYTES", default=26_214_400)
VOICE_MAX_JSON_BYTES: int = env.int("VOICE_MAX_JSON_BYTES", default=1_048_576)
VOICE_BODY_GRACE_S: float = env.float("VOICE_BODY_GRACE_S", default=10.0)
VOICE_BODY_MIN_BYTES_S: float = env.float("VOICE_BODY_MIN_BYTES_S", default=4_000.0)
VOICE_HEAD_BYTES: int = env.int("VOICE_HEAD_BYTES", default=65_536)
VOICE_HEAD_S: float = env.float("VOICE_HEAD_S", default=10.0)
VOICE_MAX_AUDIO_S: float = env.float("VOICE_MAX_AUDIO_S", default=3600.0)
VOICE_RATE_LIMIT: int = env.int("VOICE_RATE_LIMIT", default=60_000)
VOICE_IDEMPOTENCY_TTL_S: int = env.int("VOICE_IDEMPOTENCY_TTL_S", default=3600)
VOICE_IDEMPOTENCY_BYTES: int = env.int("VOICE_IDEMPOTENCY_BYTES", default=67_108_864)

# --- WebSockets ------------------------------------------------------------------------------------------------------
VOICE_WS_MAX_BYTES: int = env.int("VOICE_WS_MAX_BYTES", default=65_536)
VOICE_WS_MAX_JSON_BYTES: int = env.int("VOICE_WS_MAX_JSON_BYTES", default=1_048_576)
VOICE_WS_IDLE_S: float = env.float("VOICE_WS_IDLE_S", default=60.0)
VOICE_WS_MAX_S: float = env.float("VOICE_WS_MAX_S", default=3600.0)  # the longest session
VOICE_WS_DRAIN_S: float = env.float("VOICE_WS_DRAIN_S", default=5.0)
VOICE_STREAMS_PER_USER: int = env.int("VOICE_STREAMS_PER_USER", default=8)
VOICE_CLIENT_SECRET_S: int = env.int("VOICE_CLIENT_SECRET_S", default=600)

# --- Identity --------------------------------------------------------------------------------------------------------
VOICE_JWT_SECRET: str = env.str("VOICE_JWT_SECRET", default="")
VOICE_JWT_JWKS_URL: str = env.str("VOICE_JWT_JWKS_URL", default="")
VOICE_JWT_AUDIENCE: str = env.str("VOICE_JWT_AUDIENCE", default="")
VOICE_JWT_ISSUER: str = env.str("VOICE_JWT_ISSUER", default="")
VOICE_JWT_CLIENT: str = env.str("VOICE_JWT_CLIENT", default="chat")
VOICE_DEMO_API_KEY: str = env.str("VOICE_DEMO_API_KEY", default="")
VOICE_DEMO_ADMIN_PASSWORD: str = env.str("VOICE_DEMO_ADMIN_PASSWORD", default="")

# --- Inference tier --------------------------------------------------------------------------------------------------
VOICE_INFERENCE_URL: list[str] = env.list("VOICE_INFERENCE_URL", default=[])
VOICE_RAY_ASR_REPLICAS: str = env.str("VOICE_RAY_ASR_REPLICAS", default="1-4")
VOICE_RAY_TTS_REPLICAS: str = env.str("VOICE_RAY_TTS_REPLICAS", default="1-4")
VOICE_RAY_INGRESS_REPLICAS: int = env.int("VOICE_RAY_INGRESS_REPLICAS", default=2)
VOICE_RAY_ASR_GPUS: float = env.float("VOICE_RAY_ASR_GPUS", default=0.0)
VOICE_RAY_TTS_GPUS: float = env.float("VOICE_RAY_TTS_GPUS", default=0.0)
VOICE_RAY_ASR_CPUS: float = env.float("VOICE_RAY_ASR_CPUS", default=1.0)
VOICE_RAY_TTS_CPUS: float = env.float("VOICE_RAY_TTS_CPUS", default=1.0)
VOICE_RAY_ONGOING: int = env.int("VOICE_RAY_ONGOING", default=24)
VOICE_RAY_UPSCALE_DELAY_S: float = env.float("VOICE_RAY_UPSCALE_DELAY_S", default=10.0)
VOICE_RAY_DOWNSCALE_DELAY_S: float = env.float("VOICE_RAY_DOWNSCALE_DELAY_S", default=300.0)

# --- Models ----------------------------------------------------------------------------------------------------------
VOICE_MODELS_DIR = Path(env.str("VOICE_MODELS_DIR", default="") or VOICE_STATE_DIR / "models").expanduser().resolve()

VOICE_UNKNOWN_MODELS: str = env.str("VOICE_UNKNOWN_MODELS", default="refuse")

# --- Speech to text --------------------------------------------------------------------------------------------------
VOICE_ASR_MODEL: str = env.str("VOICE_ASR_MODEL", default="auto")
VOICE_ASR_DEVICE: str = env.str("VOICE_ASR_DEVICE", default="auto")
VOICE_ASR_COMPUTE_TYPE: str = env.str("VOICE_ASR_COMPUTE_TYPE", default="default")
VOICE_ASR_NATIVE: str = env.str("VOICE_ASR_NATIVE", default="auto")
VOICE_ASR_THREADS: int = env.int("VOICE_ASR_THREADS", default=0)
VOICE_ASR_BATCH: int = env.int("VOICE_ASR_BATCH", default=16)
VOICE_ASR_BEAM: int = env.int("VOICE_ASR_BEAM", default=5)
VOICE_ASR_BUSY_BEAM: int = env.int("VOICE_ASR_BUSY_BEAM", default=2)
VOICE_ASR_CONTEXT: str = env.str("VOICE_ASR_CONTEXT", default="auto")
VOICE_ASR_LANGUAGES: list[str] = env.list("VOICE_ASR_LANGUAGES", default=["ms", "en", "zh", "ta"])
VOICE_ASR_IDLE_UNLOAD_S: float = env.float("VOICE_ASR_IDLE_UNLOAD_S", default=0.0)
VOICE_ASR_QUEUE: int = env.int("VOICE_ASR_QUEUE", default=256)
VOICE_ASR_WAIT_S: float = env.float("VOICE_ASR_WAIT_S", default=3.0)
VOICE_ASR_TUNING: str = env.str("VOICE_ASR_TUNING", default="")
VOICE_CORRECTION_WINDOW_S: int = env.int("VOICE_CORRECTION_WINDOW_S", default=3600)

# --- Text to speech --------------------------------------------------------------------------------------------------
VOICE_TTS_MODEL: str = env.str("VOICE_TTS_MODEL", default="auto")
VOICE_TTS_DEVICE: str = env.str("VOICE_TTS_DEVICE", default="auto")
VOICE_TTS_THREADS: int = env.int("VOICE_TTS_THREADS", default=0)
VOICE_TTS_WORKERS: int = env.int("VOICE_TTS_WORKERS", default=0)
VOICE_TTS_BROWNOUT: bool = env.bool("VOICE_TTS_BROWNOUT", default=True)
VOICE_TTS_BROWNOUT_S: float = env.float("VOICE_TTS_BROWNOUT_S", default=2.0)
VOICE_TTS_DEFAULT_VOICE: str = env.str("VOICE_TTS_DEFAULT_VOICE", default="")
VOICE_TTS_MAX_CHARACTERS: int = env.int("VOICE_TTS_MAX_CHARACTERS", default=4096)
VOICE_TTS_QUEUE: int = env.int("VOICE_TTS_QUEUE", default=1024)
VOICE_TTS_WAIT_S: float = env.float("VOICE_TTS_WAIT_S", default=2.75)
VOICE_TTS_CACHE_BYTES: int = env.int("VOICE_TTS_CACHE_BYTES", default=67_108_864)
VOICE_COQUI_MODELS: list[str] = env.list("VOICE_COQUI_MODELS", default=[])
VOICE_COQUI_DEVICE: str = env.str("VOICE_COQUI_DEVICE", default="auto")
VOICE_COQUI_THREADS: int = env.int("VOICE_COQUI_THREADS", default=0)
VOICE_COQUI_BATCH: int = env.int("VOICE_COQUI_BATCH", default=8)

# --- Usage -----------------------------------------------------------------------------------------------------------
VOICE_USAGE_RETENTION_DAYS: int = env.int("VOICE_USAGE_RETENTION_DAYS", default=400)

# --- Capacity --------------------------------------------------------------------------------------------------------
VOICE_PHASE: int = env.int("VOICE_PHASE", default=0)
VOICE_MAX_CONCURRENT_USERS: int = env.int("VOICE_MAX_CONCURRENT_USERS", default=0)
VOICE_PHASE_DIR: str = env.str("VOICE_PHASE_DIR", default="")
VOICE_LEASE_S: float = env.float("VOICE_LEASE_S", default=20.0)
VOICE_PROBE_URL: str = env.str("VOICE_PROBE_URL", default="")
VOICE_RUNBOOK_URL: str = env.str("VOICE_RUNBOOK_URL", default="")
VOICE_ALERT_EMAILS: list[str] = env.list("VOICE_ALERT_EMAILS", default=[])
VOICE_ALERT_WEBHOOKS: list[str] = env.list("VOICE_ALERT_WEBHOOKS", default=[])
VOICE_SUMMARY_EMAILS: list[str] = env.list("VOICE_SUMMARY_EMAILS", default=[])
VOICE_EMAIL_URL: str = env.str("VOICE_EMAIL_URL", default="")
VOICE_EMAIL_FROM: str = env.str("VOICE_EMAIL_FROM", default="voice@localhost")

# --- Django ----------------------------------------------------------------------------------------------------------
ALLOWED_HOSTS = VOICE_ALLOWED_HOSTS
CSRF_TRUSTED_ORIGINS = VOICE_CSRF_TRUSTED_ORIGINS
ROOT_URLCONF = "voiceproject.urls"
ASGI_APPLICATION = "voiceproject.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = usable("VOICE_TIME_ZONE", VOICE_TIME_ZONE, otherwise="UTC")
FORMAT_MODULE_PATH = "voiceproject.formats"
LANGUAGE_CODE = mail_recipients.DEFAULT_LANGUAGE
LANGUAGES = list(mail_recipients.LANGUAGES.items())
LOCALE_PATHS = [BASE_DIR / "locale"]
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
APPEND_SLASH = False
LOGIN_REDIRECT_URL = "/admin/"
X_FRAME_OPTIONS = "DENY"

# Sessions of staff who log in. If a request arrived over TLS, ``gateway.middleware`` marks cookies ``Secure`` and sends
# HSTS.
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_HSTS_SECONDS = 365 * 24 * 3600
SECURE_REFERRER_POLICY = "same-origin"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

INSTALLED_APPS = [
    *(["daphne"] if DEBUG else []),  # for ``runserver`` only, because its imports take half a second
    "unfold",  # before the admin, because it replaces the admin's templates
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_prometheus",
    "rest_framework",
    "adrf",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "voiceproject",
    "core",
    "model_store",
    "rollout",
    "usage",
    "capacity",
    "gateway",
    "asr",
    "tts",
    "dashboard",
    # The tools are apps so that Django finds their commands. The images do not contain them.
    *(f"tools.{tool}" for tool in ("benchmarks", "demo", "loadtests", "planning") if (BASE_DIR / "tools").is_dir()),
]

# For API calls, all of this middleware is async and uses neither the session nor the database. Only the pages of the
# admin and the dashboard also run Django's own middleware.
MIDDLEWARE = [
    "gateway.middleware.ContentLength",
    "gateway.middleware.Compressed",
    "gateway.middleware.Metrics",
    "gateway.middleware.Language",
    "gateway.middleware.Security",
    "gateway.middleware.Sessions",
    "gateway.middleware.Csrf",
    "gateway.middleware.Authentication",
    "gateway.middleware.Messages",
    "gateway.middleware.ClickJacking",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

_DATABASES = "an address such as postgres://user:password@host:5432/name or sqlite:////path/to/file"
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.parsed("DATABASE_URL", database_config, DATABASE_URL, "sqlite://:memory:", _DATABASES)
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",  # a writer waits at BEGIN instead of failing at its first write
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
    }
    DATABASES["default"]["TEST"] = {"NAME": VOICE_STATE_DIR / "test.sqlite3"}  # threads and WAL need a file
else:
    # Detect within seconds that the server is gone or the network drops packets. Options in the database URL take
    # precedence.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 3,
        "tcp_user_timeout": 10_000,  # milliseconds
        "keepalives_idle": 10,
        **DATABASES["default"].get("OPTIONS", {}),
    }
    if VOICE_DATABASE_POOL:
        # Under ASGI every request has its own thread and therefore its own connection. The pool reuses connections and
        # limits their number. In an outage the pool retries at growing intervals. A short ``reconnect_timeout`` makes
        # the pool give up, so that the first request after the outage connects at once.
        pool = {"min_size": 1, "max_size": VOICE_DATABASE_POOL, "timeout": 3, "reconnect_timeout": 3}
        DATABASES["default"]["OPTIONS"]["pool"] = pool
        DATABASES["default"]["CONN_HEALTH_CHECKS"] = True  # because the database server may have restarted

# Django has a separate setting for each part of the mail server's address.
_MAIL = "an address such as smtp+tls://user:password@host:587"
globals().update(
    env.parsed(
        "VOICE_EMAIL_URL", env.email_url_config, VOICE_EMAIL_URL or "smtp://localhost:25", "smtp://localhost:25", _MAIL
    )
)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = VOICE_EMAIL_FROM

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "voice",
        "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 2},
    }
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
}
CHANNEL_LAYERS = {
    "default": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [REDIS_URL]}}
    if REDIS_URL
    else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
}

UNFOLD = {
    "SITE_TITLE": "Voice service",
    "SITE_HEADER": "Voice service",
    "SITE_ICON": f"{STATIC_URL}favicon.svg",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": f"{STATIC_URL}favicon.svg"}],
    "SHOW_VIEW_ON_SITE": False,
    "LOGIN": {"form": "core.admin_login.LimitedLoginForm"},
    "DASHBOARD_CALLBACK": "dashboard.homepage.page",
    "SIDEBAR": {"navigation": "dashboard.navigation.sidebar"},
    "TABS": "dashboard.navigation.tabs",
    "COLORS": {"primary": "dashboard.theme.primary"},
}

# Uploads stay in memory: neither Django's request body nor an upload handler may write to the disk.
MULTIPART_OVERHEAD_BYTES = 1_048_576
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]
FILE_UPLOAD_MAX_MEMORY_SIZE = VOICE_MAX_UPLOAD_BYTES + MULTIPART_OVERHEAD_BYTES
DATA_UPLOAD_MAX_MEMORY_SIZE = VOICE_MAX_JSON_BYTES

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["core.identity.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["gateway.strict_json.JsonParser"],
    "EXCEPTION_HANDLER": "core.errors.exception_handler",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Voice service",
    "DESCRIPTION": "Speech to text and text to speech behind OpenAI's audio API. Malay first.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    # The schema leaves out the subclasses of this class, because all of them look the same to clients.
    "AUTHENTICATION_WHITELIST": ["core.identity.BearerAuthentication"],
    "DEFAULT_GENERATOR_CLASS": "gateway.openapi.LockedSchemaGenerator",
    "COMPONENT_SPLIT_REQUEST": True,  # otherwise the schema describes an uploaded file as a URL
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "gateway.openapi.complete"],
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"persistAuthorization": True, "tryItOutEnabled": True, "docExpansion": "list"},
}

_LOG_LEVEL = usable("VOICE_LOG_LEVEL", VOICE_LOG_LEVEL, otherwise="INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "core.logs.RequestIdFilter"}},
    "formatters": {"json": {"()": "core.logs.JsonFormatter"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["request_id"]},
    },
    "root": {"handlers": ["console"], "level": _LOG_LEVEL},
    "loggers": {
        "django": {"handlers": [], "level": _LOG_LEVEL, "propagate": True},
        "django.server": {"handlers": [], "level": _LOG_LEVEL, "propagate": True},
        # The service's access log already has a more detailed line for each request.
        "django.request": {"level": "CRITICAL"},
        "uvicorn": {"level": "WARNING"},
        "daphne": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        "faster_whisper": {"level": "WARNING"},
    },
}

# Settings with invalid values. ``manage.py check`` reports them, and no server starts while there are any.
SETTING_PROBLEMS = [*env.problems, *broken_rules(globals())]
