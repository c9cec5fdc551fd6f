from tests.operator.fixtures import apps, nginx
from tests.operator.release.standing import stand, standing

__all__ = ["apps", "nginx", "stand", "standing"]
