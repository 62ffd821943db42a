"""The shape of the words, and how the sentences of a fault are found."""

from typing import NamedTuple

from provision.health.result import Sentence


class Fault(NamedTuple):
    """What one kind of fault means for the school, and what to do next."""

    meaning: Sentence
    remedy: Sentence


#: What mends most things that a person, a fault or a full disk has put out of order.
APPLY = Sentence(
    ca="Executeu «provision apply {school} --service {service}», o truqueu a l'ajuntament.",
    es="Ejecute «provision apply {school} --service {service}», o llame al ayuntamiento.",
    en="Run “provision apply {school} --service {service}”, or call the city.",
)
#: The same for what belongs to the server and not to one service.
APPLY_ALL = Sentence(
    ca="Executeu «provision apply {school}», o truqueu a l'ajuntament.",
    es="Ejecute «provision apply {school}», o llame al ayuntamiento.",
    en="Run “provision apply {school}”, or call the city.",
)
