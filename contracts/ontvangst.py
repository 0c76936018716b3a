"""Stream `ontvangst` (the owner of the submission's stream, subject the submission's id): the receipt.

Every submission ends in exactly one `aanvaard` or `afgewezen`; `wacht` may come before it.
`UITLEG` is the whole list of what can be wrong, in the words that partners see.
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from contracts.fields import Tijdstip
from contracts.model import Data

Onderwerp = Annotated[
    str,
    Field(
        pattern=r"^([A-Z]{1,2}-[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}|[A-Z]{2,6}-[0-9]{6}|[A-Z][A-Z0-9]{1,19})$",
        examples=["PV-7K3F9-QX2ME"],
        description="Het onderwerp waar het feit bij hoort: een nummer van de eigenaar, of een bron",
    ),
]


class Code(StrEnum):
    """Why a submission was refused. `UITLEG` says each in Dutch, with what to do."""

    ONLEESBAAR = "onleesbaar"
    TE_GROOT = "te_groot"
    ENVELOP_ONGELDIG = "envelop_ongeldig"
    AFZENDER_ONJUIST = "afzender_onjuist"
    TYPE_ONBEKEND = "type_onbekend"
    TYPE_NIET_IN_TE_DIENEN = "type_niet_in_te_dienen"
    ROUTERING_ONJUIST = "routering_onjuist"
    ROL_NIET_BEVOEGD = "rol_niet_bevoegd"
    VELD_ONTBREEKT = "veld_ontbreekt"
    VELD_ONBEKEND = "veld_onbekend"
    VELD_ONGELDIG = "veld_ongeldig"
    GEEN_PARTIJ = "geen_partij"
    NAMENS_NIET_TOEGESTAAN = "namens_niet_toegestaan"
    ID_HERGEBRUIKT = "id_hergebruikt"
    REFERENTIE_HERGEBRUIKT = "referentie_hergebruikt"
    TE_VROEG_VERLOPEN = "te_vroeg_verlopen"
    VERWORPEN = "verworpen"
    STATUS_PAST_NIET = "status_past_niet"
    PERSOON_ONLEESBAAR = "persoon_onleesbaar"
    PERSOON_ONGELDIG = "persoon_ongeldig"
    PARTNER_ONBEKEND = "partner_onbekend"
    PARTNER_MIST_ROL = "partner_mist_rol"
    PLAATS_GEBLOKKEERD = "plaats_geblokkeerd"
    ANDERE_MATCH_ACTIEF = "andere_match_actief"
    CREBO_ONBEKEND = "crebo_onbekend"
    CREBO_WIJKT_AF = "crebo_wijkt_af"
    WERKPROCES_ONBEKEND = "werkproces_onbekend"
    WERKPROCES_NIET_IN_PLAN = "werkproces_niet_in_plan"
    WERKPROCES_NIET_BEHEERST = "werkproces_niet_beheerst"
    LEERBEDRIJF_WIJKT_AF = "leerbedrijf_wijkt_af"
    POK_ONBEKEND = "pok_onbekend"
    POK_AL_ONDERTEKEND = "pok_al_ondertekend"
    DATUM_BUITEN_POK = "datum_buiten_pok"
    DATUM_ONJUIST = "datum_onjuist"
    ERKENNING_NIET_GELDIG = "erkenning_niet_geldig"
    BRON_ONBEKEND = "bron_onbekend"
    BUDGET_ONTOEREIKEND = "budget_ontoereikend"
    BUITEN_BUDGETPERIODE = "buiten_budgetperiode"
    OPDRACHT_BESTAAT = "opdracht_bestaat"
    OPLEIDER_WIJKT_AF = "opleider_wijkt_af"


UITLEG: dict[Code, str] = {
    Code.ONLEESBAAR: "Dit bericht is geen leesbare JSON. Stuur een CloudEvent als JSON in UTF-8.",
    Code.TE_GROOT: "Dit bericht is groter dan 64 KiB. Laat weg wat er niet in hoort en stuur het opnieuw.",
    Code.ENVELOP_ONGELDIG: "De envelop voldoet niet aan CloudEvents 1.0 en het NL GOV profiel. "
    "Herstel het genoemde veld en stuur het bericht opnieuw.",
    Code.AFZENDER_ONJUIST: "De source of het account hoort niet bij uw organisatie. "
    "Gebruik uw eigen source via uw eigen exchange.",
    Code.TYPE_ONBEKEND: "Dit berichttype bestaat niet. Kijk in de catalogus welke typen er zijn.",
    Code.TYPE_NIET_IN_TE_DIENEN: "Dit berichttype kan niemand indienen: het volgt vanzelf uit andere gebeurtenissen.",
    Code.ROUTERING_ONJUIST: "De routing key past niet bij het type. "
    "Gebruik <stroom>.<gebeurtenis>, zoals match.bevestigd, en stuur het bericht opnieuw.",
    Code.ROL_NIET_BEVOEGD: "Uw rol mag dit berichttype niet indienen. "
    "Laat de partner met de juiste rol het melden.",
    Code.VELD_ONTBREEKT: "Het genoemde veld is verplicht en ontbreekt. "
    "Vul het in en stuur het bericht opnieuw met een nieuw id.",
    Code.VELD_ONBEKEND: "Het bericht heeft een veld dat niet in het contract staat. "
    "Haal het weg en stuur het bericht opnieuw met een nieuw id.",
    Code.VELD_ONGELDIG: "Het genoemde veld voldoet niet aan het formaat. "
    "Kijk in het schema van dit type en stuur het bericht opnieuw met een nieuw id.",
    Code.GEEN_PARTIJ: "U bent in deze rol geen partij bij dit onderwerp. "
    "Vraag het coördinatiepunt u toe te wijzen als dat niet klopt.",
    Code.NAMENS_NIET_TOEGESTAAN: "U kunt dit niet namens een ander melden. "
    "De partij heeft een eigen account, of uw rol mag het niet.",
    Code.ID_HERGEBRUIKT: "Dit id is al gebruikt voor een bericht met een andere inhoud. "
    "Het eerste bericht blijft gelden; geef een nieuw bericht een nieuw id.",
    Code.REFERENTIE_HERGEBRUIKT: "Deze referentie is al gebruikt voor iets anders. Kies een nieuwe referentie.",
    Code.TE_VROEG_VERLOPEN: "Waar dit bericht op wachtte is niet op tijd gebeurd. "
    "Controleer het onderwerp en stuur het zo nodig opnieuw met een nieuw id.",
    Code.VERWORPEN: "Het coördinatiepunt heeft dit bericht na een storing terzijde gelegd. Neem contact op.",
    Code.STATUS_PAST_NIET: "Dit past niet bij de stand van zaken. "
    "Kijk waar het traject staat en meld alleen wat nu kan.",
    Code.PERSOON_ONLEESBAAR: "De persoonsgegevens zijn niet te ontsleutelen. "
    "Versleutel ze met de publieke sleutel die u van het coördinatiepunt kreeg en stuur ze met een nieuw id.",
    Code.PERSOON_ONGELDIG: "De persoonsgegevens zijn ontsleuteld, maar voldoen niet aan het schema. "
    "Kijk in persoon.json en stuur het bericht opnieuw met een nieuw id.",
    Code.PARTNER_ONBEKEND: "Deze partner staat niet in het partnerregister. Controleer de naam.",
    Code.PARTNER_MIST_ROL: "Deze partner heeft die rol niet. Kies een partner met deze rol.",
    Code.PLAATS_GEBLOKKEERD: "Voor deze vestiging en deze crebo is erkenning geweigerd, korter dan zes maanden geleden. "
    "Zoek een andere werkplek.",
    Code.ANDERE_MATCH_ACTIEF: "Dit traject heeft al een bevestigde match. Laat die eerst vervallen.",
    Code.CREBO_ONBEKEND: "Deze crebo en dossierversie staan niet in de kwalificatietabel. Controleer ze.",
    Code.CREBO_WIJKT_AF: "De crebo is een andere dan die van de match. Gebruik dezelfde crebo.",
    Code.WERKPROCES_ONBEKEND: "Een werkproces hoort niet bij deze crebo en dossierversie. Controleer de codes.",
    Code.WERKPROCES_NIET_IN_PLAN: "Dit werkproces staat niet in het begeleidingsdocument van dit traject.",
    Code.WERKPROCES_NIET_BEHEERST: "Een werkproces is niet als beheerst beoordeeld. "
    "Beoordeel het eerst, of laat het van de verklaring weg.",
    Code.LEERBEDRIJF_WIJKT_AF: "Het leerbedrijf-id hoort niet bij een werkplek waar dit traject is gestart. "
    "Gebruik het leerbedrijf-id uit match.erkend.",
    Code.POK_ONBEKEND: "Deze praktijkovereenkomst is bij dit traject niet bekend. Stel haar eerst op.",
    Code.POK_AL_ONDERTEKEND: "Deze partij heeft de praktijkovereenkomst al ondertekend.",
    Code.DATUM_BUITEN_POK: "De datum valt buiten de looptijd van de praktijkovereenkomst.",
    Code.DATUM_ONJUIST: "De datum kan niet kloppen: zij ligt in de toekomst of voor wat eraan voorafging.",
    Code.ERKENNING_NIET_GELDIG: "Op deze datum is de erkenning van de werkplek niet geldig.",
    Code.BRON_ONBEKEND: "Voor deze bron is geen budget vastgesteld. Stel het budget eerst vast.",
    Code.BUDGET_ONTOEREIKEND: "Het budget van deze bron is ontoereikend. Kies een andere bron of verhoog het budget.",
    Code.BUITEN_BUDGETPERIODE: "Vandaag valt buiten de periode van het budget van deze bron. "
    "Kies een andere bron of stel het budget opnieuw vast.",
    Code.OPDRACHT_BESTAAT: "Voor dit traject loopt al een opdracht. Trek die eerst in.",
    Code.OPLEIDER_WIJKT_AF: "De opleider is niet de opleider van dit traject.",
}
Uitleg = StrEnum("Uitleg", {code.name: text for code, text in UITLEG.items()})  # type: ignore[misc]


class Aanvaard(Data):
    """The submission became a fact: the `sequence`-th of the stream of `subject`."""

    subject: Onderwerp
    sequence: Annotated[int, Field(ge=1, examples=[1], description="Volgnummer van het feit in zijn stroom")]


class Afgewezen(Data):
    """Refused for good. Nothing changed. `veld` is the path of the field that is wrong, if one is."""

    code: Annotated[Code, Field(examples=[Code.VELD_ONGELDIG])]
    veld: (
        Annotated[str, Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$", max_length=100, examples=["data.kvk"])] | None
    ) = None
    uitleg: Annotated[Uitleg, Field(examples=[UITLEG[Code.VELD_ONGELDIG]])]

    @model_validator(mode="after")
    def _explains_its_code(self) -> Self:
        if self.uitleg.value != UITLEG[self.code]:
            raise ValueError("uitleg hoort bij een andere code")
        return self


class Waarop(StrEnum):
    """What a submission waits for, since partners react faster than facts spread."""

    TRAJECT_BEKEND = "traject_bekend"
    TRAJECT_IN_STATUS = "traject_in_status"
    MATCH_BEKEND = "match_bekend"
    MATCH_IN_STATUS = "match_in_status"
    ERKENNING_BEKEND = "erkenning_bekend"
    VERKLARING_BEKEND = "verklaring_bekend"
    OPDRACHT_BEKEND = "opdracht_bekend"
    FACTUUR_BEKEND = "factuur_bekend"
    BETALING_BEKEND = "betaling_bekend"
    BUDGET_BEKEND = "budget_bekend"
    HERSTEL = "herstel"


class Wacht(Data):
    """Too early, or held up by a fault of ours: it is judged again, at the latest at `tot`."""

    waarop: Waarop
    tot: Tijdstip
