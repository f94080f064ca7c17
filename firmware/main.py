# Boot: pick the port and the kernels, open the link, run the loop.
from coproc import port
from coproc.app import App
from coproc.tier import pick


def main():
    current = port.current()
    try:
        code = App(current, pick(current.TIERS, current.forced_tier())).run()
    except EOFError:
        code = 0  # the host closed the stream: nothing is left to do
    current.exit(code)


if __name__ == "__main__":
    main()
