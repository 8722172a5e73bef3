"""gunicorn behind nginx. With systemd the socket is that of jobmon-web.socket, and `bind` has no effect."""

import os

bind = os.environ.get("GUNICORN_BIND", "unix:/run/jobmon/web.sock")
wsgi_app = "jobmon_site.wsgi:application"
worker_class = "gthread"
workers = int(os.environ.get("GUNICORN_WORKERS", "2"))
threads = 8
# nginx answers for slow clients; a request that takes longer than this is lost.
timeout = 60
graceful_timeout = 30
keepalive = 5
max_requests = 20_000
max_requests_jitter = 2_000
preload_app = False
worker_tmp_dir = "/dev/shm"  # noqa: S108 - the heartbeat of the processes; a disk may hang
umask = 0o077
limit_request_line = 8190
limit_request_fields = 60
accesslog = None  # the site logs every request itself, with its id
errorlog = "-"


def post_worker_init(worker: object) -> None:
    from jobmon_site.wsgi import settle  # noqa: PLC0415 - loads the whole site: in the workers, not in their master

    settle()
