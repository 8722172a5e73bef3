"""The smallest project of the same kind: an empty Django site under waitress, a Celery worker and a beat with no tasks.

    python bench/bare_project.py web|worker|beat|python FOLDER

What these cost is the baseline of our own processes. Redis listens on FOLDER/redis.sock; each process writes FOLDER/NAME
when it is ready. "python" is an interpreter that imports nothing more and waits.
"""

import sys
from pathlib import Path

NAME, FOLDER = sys.argv[1], Path(sys.argv[2])


def announce(**_: object) -> None:
    (FOLDER / NAME).touch()


def set_up() -> None:
    import django
    from django.conf import settings

    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(FOLDER / "bare.sqlite3")}
    apps = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
    settings.configure(
        INSTALLED_APPS=apps, DATABASES={"default": database}, ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"],
        SECRET_KEY="bare",
    )  # fmt: skip
    django.setup()
    from django.db import connection

    connection.ensure_connection()


urlpatterns: list[object] = []


def serve_web() -> None:
    from django.core.wsgi import get_wsgi_application
    from waitress.server import create_server

    server = create_server(get_wsgi_application(), unix_socket=str(FOLDER / "web.sock"), threads=4)
    announce()
    server.run()


def work() -> None:
    from celery import Celery
    from celery.signals import beat_init, worker_ready

    worker_ready.connect(announce)
    beat_init.connect(announce)
    app = Celery("bare", broker=f"redis+socket://{FOLDER}/redis.sock")
    if NAME == "beat":
        from celery.apps.beat import Beat

        Beat(app=app, loglevel="WARNING", schedule=str(FOLDER / "schedule"), quiet=True).run()
    else:
        options = ["--pool=threads", "-c", "4", "--without-gossip", "--without-mingle", "--without-heartbeat"]
        app.worker_main(["worker", *options, "-l", "WARNING"])


def wait() -> None:
    import time

    announce()
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    if NAME == "python":
        wait()
    set_up()
    serve_web() if NAME == "web" else work()
