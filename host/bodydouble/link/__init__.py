"""The framed, checked, flow-controlled protocol between host and board; `firmware/LINK.md` specifies it."""
