"""Small word lists: the commonest words of some languages, and English words with a mood.

It owns the lists. They are short on purpose: what they make of a text can be checked by reading them.
"""

from __future__ import annotations

__all__ = ["NEGATIONS", "NEGATIVE", "POSITIVE", "STOP_WORDS"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP_WORDS: dict[str, frozenset[str]] = {
    "en": _words(
        "the a an and or but if of to in on at by for with from as is are was were be been being it its"
        " this that these those he she they we you i his her their our your my not no do does did has have"
        " had will would can could should may might than then there here what which who when where how all"
        " any each more most some such only so very into over after before about"
    ),
    "de": _words(
        "der die das den dem des ein eine einer eines einem einen und oder aber nicht ist sind war waren"
        " sein wird werden hat haben ich du er sie es wir ihr mit von zu zum zur auf in im an am bei für"
        " aus nach über unter auch nur noch wie was wer wenn dass als so sich kein keine man mehr sehr"
        " durch"
    ),
    "fr": _words(
        "le la les l' un une des du de et ou mais ne pas est sont était être a ont avait je tu il elle"
        " nous vous ils elles ce cette ces son sa ses leur leurs dans sur sous avec pour par en au aux que"
        " qui quoi dont où plus très comme si se"
    ),
    "es": _words(
        "el la los las un una unos unas y o pero no es son era ser está están ha han yo tú él ella"
        " nosotros ellos este esta estos su sus en con por para de del al que quien como más muy si se lo"
        " le les cuando donde"
    ),
    "it": _words(
        "il lo la i gli le un uno una e o ma non è sono era essere ha hanno io tu lui lei noi voi loro"
        " questo questa questi suo sua in con per da di del della dei delle al alla che chi come più molto"
        " se si nel nella quando"
    ),
    "pt": _words(
        "o a os as um uma uns umas e ou mas não é são era ser está tem têm eu tu ele ela nós eles este"
        " esta isso seu sua em no na nos nas com por para de do da dos das ao que quem como mais muito se"
        " quando onde"
    ),
    "nl": _words(
        "de het een en of maar niet is zijn was waren worden wordt heeft hebben ik jij hij zij wij jullie"
        " deze dit dat die in op aan bij met van voor uit naar over onder ook nog als dan wat wie waar hoe"
        " er geen meer zeer"
    ),
    "sv": _words(
        "en ett den det de och eller men inte är var vara har hade jag du han hon vi ni denna detta dessa"
        " sin sitt i på vid med av för från till över under också som när där vad vem hur om att ingen mer"
        " mycket så"
    ),
}
"""The words that make up about half of any text, by language."""

NEGATIONS = _words(
    "not no never none neither nor without hardly cannot can't don't doesn't didn't isn't wasn't won't aren't"
)

POSITIVE = _words(
    "good great excellent best better happy glad joy joyful love loved lovely like liked nice pleasant"
    " pleased wonderful fantastic amazing awesome beautiful brilliant superb perfect fine fair bright sunny"
    " warm calm clear fast quick reliable robust stable safe secure easy simple helpful useful friendly"
    " fresh strong success successful succeed win winner improved improvement improves gain benefit hope"
    " hopeful enjoy enjoyed fun smooth healthy trust trustworthy correct accurate thank thanks welcome"
    " delight delightful favourite favorite impressive elegant generous kind"
)

NEGATIVE = _words(
    "bad worse worst awful terrible horrible poor sad angry anger hate hated dislike ugly nasty unpleasant"
    " annoying annoyed disappointing disappointed disappointment dreadful wrong error errors fault faults"
    " fail failed fails failure failures broken break crash crashed crashes slow late hang lost loss lose"
    " danger dangerous risk unsafe insecure unstable unreliable hard difficult confusing useless weak"
    " problem problems trouble pain painful hurt hurts fear afraid worry worried stormy gloomy cold damage"
    " damaged harm harmful doubt inaccurate misleading cruel boring waste"
)
