# Decides, per request, whether it stays on the board or leaves it, and for where.
#
# The first policy: a wake word (or the button) opens a request, and the utterance after it is offloaded to where
# the privacy mode lets it go. Nothing is decided on the board itself yet.


class Policy:
    def __init__(self):
        self.local_only = False

    def configure(self, config):
        mode = config.get("privacy", "normal")
        if mode not in ("normal", "local-only"):
            raise ValueError("privacy must be normal or local-only, not %r" % (mode,))
        self.local_only = mode == "local-only"

    def destination(self, reason):
        # `reason`: what opened the request. Where its utterance may go: "phone" at most, or on to the "cloud".
        return "phone" if self.local_only else "cloud"
