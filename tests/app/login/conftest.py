from tests.app.admin.conftest import make_app

__all__ = ["make_app"]
