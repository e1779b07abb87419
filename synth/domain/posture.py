"""How a patient lay in the scanner: where the couch is, as far as a header or a person tells."""

from typing import Literal

Up = Literal["anterior", "posterior", "left", "right"]

# How the patient lay, and the side that faced up, away from the couch, by the end of a code of (0018,5100)
LYING: dict[str, tuple[str, Up]] = {
    "S": ("supine", "anterior"),
    "P": ("prone", "posterior"),
    "DL": ("on the left side", "right"),
    "DR": ("on the right side", "left"),
}


def lying_notes(lies: str, header: Up | None, given: Up | None) -> tuple[str, ...]:
    """What to note on how the patient lay; `given` by the user, else what the header says, else supine is assumed.

    Raises: ValueError where the header says that the couch is not behind the body and the user has not.
    """
    if given is not None:
        doubt = f", against the header, which says {lies}" if header not in (None, given) else ""
        couch = "" if given == "anterior" else "; the couch is not behind the body and stays in the picture"
        return (f"the {given} side faced up, as given{doubt}{couch}",) if couch or doubt else ()
    if header is None:
        return ("how the patient lay is not known: taken as on the back (--up anterior)",)
    if header != "anterior":
        place = "between viewer and body" if header == "posterior" else "beside the body"
        raise ValueError(f"shows a patient who lies {lies}: the couch lies {place}; give --up {header} to read it so")
    return ()
