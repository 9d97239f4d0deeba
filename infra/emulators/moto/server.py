"""Serves moto with fixes on a free loopback port, which it prints as "hito-listening <port>"."""

import importlib
import os
import pkgutil
import sys

# How it exits when it lacks moto, or the moto that the fixes are made for.
WITHOUT_MOTO = 3


def main():
    try:
        import moto
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

        if not moto.__version__.startswith("5.2."):
            print(f"moto 5.2 (there is {moto.__version__})")
            sys.exit(WITHOUT_MOTO)
        import fixes

        for module in pkgutil.iter_modules(fixes.__path__):
            importlib.import_module(f"fixes.{module.name}")
    except ImportError as e:
        print(f"moto[server] ({e})")
        sys.exit(WITHOUT_MOTO)

    # Clients keep their connections: without, each request costs one, and their ports run out.
    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
    os.environ["MOTO_PORT"] = str(server.port)
    print(f"hito-listening {server.port}", flush=True)
    server.serve_forever()


main()
