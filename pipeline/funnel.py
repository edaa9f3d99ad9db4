"""The funnel: one row for each image, face or clip that was dropped, with a reason of a closed list."""

import pyarrow as pa

from pipeline import terminal
from pipeline.manifest import column

MAX_DETAIL_CHARS = 200

REASONS = {
    "empty": "the file has no bytes",
    "not_an_image": "not in an image format that can be decoded",
    "truncated": "the file ends, or is damaged, before the picture does",
    "too_many_pixels": "the picture claims more pixels than is safe to decode",
    "too_costly": "the picture would take more time or memory to decode than its size allows",
    "out_of_memory": "not enough memory for the picture",
    "duplicate": "the same bytes came earlier, under another id",
    "unreadable": "the operating system would not read the file",
    "link": "a link that leads out of the folder, to a folder, or nowhere",
    "system_file": "hidden, or kept there by an operating system or a NAS, as thumbnails and recycle bins are",
    "bad_sidecar": "text or a table beside pictures that could not be read or used; the pictures themselves are in",
    "unsafe_name": "an archive member whose name leaves the archive, or that is a link or a device",
    "encrypted": "an archive member that needs a password",
    "archive_bomb": "an archive that unpacks to more than is safe, in bytes, ratio or count",
    "archive_damaged": "an archive that ends early or fails its checksum; members before that are in",
    "other_packing": "an archive, or a member, packed in a way that is not read here",
    "nested_too_deep": "an archive within an archive within an archive",
    "no_tool": "a compressed rar, and none of unar, unrar, bsdtar and 7z is installed",
    "rating": "rated otherwise than requested",
    "hidden": "not public: the site gives no file URL",
    "not_a_picture": "a film, flash or another kind of file",
    "odd_post": "the site's record of it is malformed, or has no id",
    "no_file_url": "the site gives no file URL, and none can be derived",
    "gone": "the host no longer has it (404, 410, 451)",
    "refused": "the host refuses it (401, 403 and similar)",
    "rate_limited": "rate limited by the host (HTTP 429)",
    "server_error": "the host failed at each attempt (5xx)",
    "unreachable": "the host could not be reached",
    "too_slow": "no data from the host for too long, or the transfer would have taken too long",
    "cut_short": "the connection ended before the file did",
    "too_large": "more bytes than the limit",
    "wrong_type": "the response is not an image, for example a web page",
    "wrong_hash": "the bytes do not have the hash that the site states",
    "bad_url": "invalid or unsupported URL",
    "private_address": "an address in a private network",
    "redirects": "too many redirects",
    "robots": "the host's robots.txt disallows it",
    "opted_out": "the host or page opts out of machine learning or indexing",
    "age_gate": "the site requires an age confirmation that the user has not given",
    "blocked": "the block list names its artist, domain, address or hash",
    "changed": "the picture is no longer the one in the recipe",
    "corrected": "dropped by hand",
    "no_face": "the detector found no face",
    "no_video": "not in a video format that can be decoded, or without a picture, such as sound alone",
    "still_picture": "a picture that does not move",
    "too_short": "a video with fewer frames than a clip",
    "damaged_frames": "parts of a video that could not be decoded; what is left of it is in",
    "no_blink": "no face of the video blinks",
    "closed_throughout": "the eyes are closed in the whole video",
    "blink_at_cut": "a blink too near to the start or end of a shot, or of the time in which its face is seen",
    "moves": "a blink of a face that moves, leans or grows much meanwhile",
    "not_still": "a blink while something else than the eyes changes in the face, or something passes in front of it",
    "face_hidden": "a blink of a face that cannot be seen in all of the clip",
    "near_duplicate": "another copy of the picture, or of a face in it, is in the dataset: a larger or an earlier one",
    "small_original": "the original is smaller than requested",
    "low_score": "the detector's score of the face is lower than requested",
    "blurred": "the crop is less sharp than requested",
    "dark": "the crop is darker than requested",
    "bright": "the crop is brighter than requested",
    "monochrome": "the crop has hardly any colour, and only colored crops were requested",
    "colored": "the crop has colour, and only monochrome crops were requested",
}

FUNNEL = pa.schema(
    [
        column("stage", pa.string(), "the task that dropped it"),
        column("source", pa.string(), "which source offered it"),
        column("source_id", pa.string(), "its id there"),
        column("image_id", pa.string(), "sha256 of the file, if its bytes were read", null=True),
        column("reason", pa.string(), "one of " + " ".join(REASONS)),
        column("detail", pa.string(), "more on it, in the library's own words, at most 200 characters"),
    ],
    metadata={"version": "1"},
)


def funnel_row(
    stage: str, source: str, source_id: str, reason: str, detail: str = "", image_id: str | None = None
) -> dict:
    """Return one row of FUNNEL. Raise KeyError unless `reason` is one of REASONS."""
    REASONS[reason]
    return {
        "stage": stage,
        "source": source,
        "source_id": source_id,
        "image_id": image_id,
        "reason": reason,
        "detail": terminal.visible(detail)[:MAX_DETAIL_CHARS],
    }
