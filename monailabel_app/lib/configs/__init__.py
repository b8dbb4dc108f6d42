"""One configuration per hosted model family; see `lib.app`."""
