from tests.operator.fixtures import apps, nginx

__all__ = ["apps", "nginx"]
