"""Missing system libraries: found in an ldd listing, answered with the packages that bring them."""

from synth.libraries import advice, missing_libraries

LISTING = """
\tlinux-vdso.so.1 (0x00007ffd)
\tlibX11.so.6 => /lib/x86_64-linux-gnu/libX11.so.6 (0x00007f)
\tlibxkbcommon.so.0 => not found
\tlibXi.so.6 => not found
\tlibXi.so.6 => not found
\tlibstrange.so.3 => not found
"""


def test_only_what_is_not_found_is_named_and_once() -> None:
    assert missing_libraries(LISTING) == ["libXi.so.6", "libstrange.so.3", "libxkbcommon.so.0"]
    assert missing_libraries("\tlibm.so.6 => /lib/libm.so.6 (0x1)") == []


def test_the_advice_is_a_command_and_owns_up_to_what_it_does_not_know() -> None:
    text = advice(missing_libraries(LISTING))
    assert "apt-get install libxi6 libxkbcommon0;" in text
    assert "no package is known here for libstrange.so.3" in text
    assert "no package is known" not in advice(["libSM.so.6"])
