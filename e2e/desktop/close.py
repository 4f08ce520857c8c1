"""Closes a window as its user does: asks it to go (WM_DELETE_WINDOW), by its title.

There is no window manager on the test's display, so nothing else can ask.
"""

import ctypes
import sys

x11 = ctypes.CDLL("libX11.so.6")
ID = ctypes.c_ulong
POINTER = ctypes.c_void_p
for function, result, arguments in [
    ("XOpenDisplay", POINTER, [ctypes.c_char_p]),
    ("XDefaultRootWindow", ID, [POINTER]),
    ("XInternAtom", ID, [POINTER, ctypes.c_char_p, ctypes.c_int]),
    ("XQueryTree", ctypes.c_int, [POINTER, ID] + [POINTER] * 4),
    ("XFetchName", ctypes.c_int, [POINTER, ID, POINTER]),
    ("XGetWMProtocols", ctypes.c_int, [POINTER, ID, POINTER, POINTER]),
    ("XSendEvent", ctypes.c_int, [POINTER, ID, ctypes.c_int, ctypes.c_long, POINTER]),
    ("XCloseDisplay", ctypes.c_int, [POINTER]),
]:
    getattr(x11, function).restype = result
    getattr(x11, function).argtypes = arguments


class ClientMessage(ctypes.Structure):
    """XClientMessageEvent, padded to the size of XEvent."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", POINTER),
        ("window", ID),
        ("message_type", ID),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("padding", ctypes.c_long * 12),
    ]


def main(title):
    display = x11.XOpenDisplay(None)
    if not display:
        return "no display"
    protocols = x11.XInternAtom(display, b"WM_PROTOCOLS", 0)
    delete = x11.XInternAtom(display, b"WM_DELETE_WINDOW", 0)
    root, parent, children, count = ID(), ID(), ctypes.POINTER(ID)(), ctypes.c_uint()
    x11.XQueryTree(
        display,
        x11.XDefaultRootWindow(display),
        *(ctypes.byref(out) for out in (root, parent, children, count)),
    )
    asked = 0
    for window in children[: count.value]:
        name, supported, number = ctypes.c_char_p(), ctypes.POINTER(ID)(), ctypes.c_int()
        x11.XFetchName(display, window, ctypes.byref(name))
        if name.value != title.encode():
            continue
        found = x11.XGetWMProtocols(display, window, ctypes.byref(supported), ctypes.byref(number))
        if not found or delete not in supported[: number.value]:
            continue
        event = ClientMessage(type=33, send_event=1, display=display, window=window)
        event.message_type, event.format, event.data[0] = protocols, 32, delete
        x11.XSendEvent(display, window, 0, 0, ctypes.byref(event))
        asked += 1
    x11.XCloseDisplay(display)
    return None if asked == 1 else f"{asked} windows are called {title}"


sys.exit(main(sys.argv[1]))
