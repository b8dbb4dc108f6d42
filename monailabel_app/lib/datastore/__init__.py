"""The studies folder: images, every version of their labels, and what is known of both.

The file system is the only truth. Every write is whole or not at all, a version exists once its record does, and
nothing is deleted; files that people put there are taken up.
"""

from monailabel_app.lib.datastore.cases import Case
from monailabel_app.lib.datastore.local import LocalDatastore
from monailabel_app.lib.datastore.names import ENDINGS, TAGS, check_ending, check_id, check_tag, split_name
from monailabel_app.lib.datastore.records import ImageRecord
from monailabel_app.lib.datastore.versions import LabelVersion

__all__ = [
    "ENDINGS",
    "TAGS",
    "Case",
    "ImageRecord",
    "LabelVersion",
    "LocalDatastore",
    "check_ending",
    "check_id",
    "check_tag",
    "split_name",
]
