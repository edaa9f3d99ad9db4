"""The machine-readable marking of generated pictures: XMP in the file, with the words that IPTC gave such pictures.

https://cv.iptc.org/newscodes/digitalsourcetype/
"""

from pathlib import Path

from PIL.PngImagePlugin import PngInfo

XMP_KEYWORD = "XML:com.adobe.xmp"  # of the text of a PNG file that is XMP
GENERATED = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" Iptc4xmpExt:DigitalSourceType='
    '"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/></rdf:RDF></x:xmpmeta>'
    '<?xpacket end="r"?>'
)
"""The XMP packet of a picture that a trained network made."""
_HEAD_BYTES = 1 << 16  # of a file, in which the packet is: PNG texts of ours come before the pixels


def is_generated(file: Path) -> bool:
    """Return whether a file has our marking. Raise OSError."""
    with open(file, "rb") as raw:
        return GENERATED.encode() in raw.read(_HEAD_BYTES)


def generated_texts() -> PngInfo:
    """Return the texts of a PNG file that is marked."""
    texts = PngInfo()
    texts.add_itxt(XMP_KEYWORD, GENERATED)
    return texts
