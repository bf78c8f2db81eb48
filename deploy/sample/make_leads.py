"""Writes leads.csv: 1,200 leads that look like real life, 36 of them bad on purpose.

The same bytes come out on every run and on every Python from 3.11 on. A bad row is bad in exactly one column
and as valid as any other in the rest. Email addresses use reserved domains only; phone numbers are from the
ranges kept for fiction where a country has such a range.
"""

from __future__ import annotations

import argparse
import csv
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from random import Random

ROWS = 1200
SEED = 20240229
BAD_EVERY, FIRST_BAD = 33, 17
PERSON = ("firstName", "lastName", "email", "phone", "dateOfBirth")
ADDRESS = ("city", "zipCode", "provinceCode", "countryCode")
COLUMNS = (*PERSON, *ADDRESS, "verticals", "clientReference", "source", "campaign", "comment")


@dataclass(frozen=True)
class Country:
    """Where a lead may live: in patterns `#` is a digit and `@` a letter.

    Names that are not in Latin script are `native/latin`; cities are `name/provinceCode/zip pattern`. The
    weight says how often the country is drawn.
    """

    code: str
    weight: str
    phone: str
    first_names: str
    last_names: str
    cities: str


# The last first name of ES ends in a letter and a combining accent, as some phones send it. The Chinese and
# Korean surnames have two characters: those of one, far more usual, are shorter than the API takes.
PEOPLE = """\
IT | 8 | +39320####### | Giulia, Niccolò, Chiara, Matteo, Maria Sole, Gian Luca, Desirée | Rossi, D'Angelo,
    Esposito, De Luca, Dell'Acqua, Di Giovanni, Pietrangeli-Montecchi | Milano/MI/201##, Roma/RM/001##,
    Napoli/NA/801##, Torino/TO/101##, Forlì/FC/4712#, L'Aquila/AQ/67100
ES | 6 | +346######## | María José, Begoña, Íñigo, Nuria, Álvaro, Lucía, Jose\u0301 | García Pérez, Núñez,
    Ibáñez de la Torre, Muñoz, Fernández-Villanueva, López i Puig | Madrid/28/280##, Barcelona/08/080##,
    Sevilla/41/410##, A Coruña/15/150##, Donostia-San Sebastián/20/200##
FR | 6 | +3363998#### | François, Chloé, Anaïs, Jean-Baptiste, Maëlle, Loïc, Zoé | Lefèvre, D'Hérouville, Le
    Goff, Durand-Lacroix, Œuvrard, Gauthier, de La Rivière | Paris/75/7501#, Lyon/69/6900#,
    Saint-Étienne/42/42000, Aix-en-Provence/13/13100, L'Haÿ-les-Roses/94/94240
DE | 7 | +493023125### | Jürgen, Käthe, Sören, Anneliese, Björn, Kai-Uwe, Ümit | Groß, Müller-Lüdenscheid,
    Weißgerber, von der Heide, Schäfer, Yılmaz, Schmidt, Strauß | Berlin/BE/10###, München/BY/80###,
    Köln/NW/50###, Gießen/HE/353##, Weißenfels/ST/06667
AT | 2 | +43660####### | Leopold, Traudl, Ägidius, Resi | Gruber, Österreicher, Füßl, Hofstätter |
    Wien//1##0, Vöcklabruck//4840, Mürzzuschlag//8680
CH | 3 | +4179####### | Beat, Urs, Céline, Gian-Andri, Noémie | Favre, Bernasconi, Rüegg, Häfliger |
    Zürich/ZH/80##, Genève/GE/120#, St. Gallen/SG/9000, La Chaux-de-Fonds/NE/2300
PL | 6 | +48570###### | Łukasz, Małgorzata, Świętosława, Jędrzej, Żaneta, Paweł, Zofia | Łukasiewicz,
    Wójcik, Szczęsna-Żółkowska, Grzegorzewski, Żak, Błaszczyk, Śliwa | Warszawa/14/00-###, Łódź/10/90-###,
    Kraków/12/30-###, Wrocław/02/50-###, Gdańsk/22/80-###
CZ | 2 | +420601###### | Jiří, Růžena, Žofie, Ondřej | Dvořák, Řeháková, Šťastný, Kříž | Praha/10/1## 00,
    Brno/64/602 00, Plzeň/32/301 00
HU | 2 | +36201###### | Győző, Zsófia, Ödön, Tünde | Szőke, Kővári, Nagy-Szűcs, Tóth | Budapest/BU/1##1,
    Győr/GS/902#, Pécs/BA/762#
RO | 2 | +4072####### | Ștefan, Ioana-Mădălina, Răzvan, Crina | Țăranu, Ionescu, Bălănescu, Șerban |
    București//0#####, Cluj-Napoca/CJ/4000##, Timișoara/TM/300###, Iași/IS/7000##
GB | 6 | +447700900### | Siân, Oluwaseun, Harriet, Callum, Zara, Rhys, Priya | O'Brien, St. John-Smythe,
    Llewellyn, Adeyemi, MacDonald, Patel, Featherstonehaugh-Cholmondeley, Ng | London//E1 #@@,
    Manchester//M1 #@@, Edinburgh//EH1 #@@, Cardiff//CF10 #@@, Stoke-on-Trent//ST1 #@@
IE | 2 | +3532091##### | Saoirse, Pádraig, Aoife, Caoimhín | Ó Súilleabháin, Ní Dhomhnaill, O'Connor |
    Dublin//D02 @###, Cork/CO/T12 @###, Gaillimh//H91 @###
DK | 3 | +4520###### | Søren, Åse, Bjørn, Mette, Jytte | Sørensen, Bøgh, Ågård, Kjærgaard-Østergaard |
    København/84/21##, Aarhus/82/8000, Ærøskøbing/83/5970, Næstved/85/4700
NO | 3 | +4740###### | Øyvind, Åshild, Håkon, Tor-Inge | Ødegård, Bjørnstad, Skjærvø, Lie | Oslo/03/01##,
    Bergen/46/50##, Tromsø/55/9008, Å/18/8392
SE | 3 | +467017406## | Åke, Göran, Ylva, Märta, Örjan, Maj-Britt | Lindström, Åkesson, Öberg, Bergqvist |
    Stockholm/AB/11# ##, Göteborg//41# ##, Malmö//21# ##, Örebro//70# ##
FI | 2 | +35850####### | Väinö, Päivi, Jyrki, Aino-Inkeri | Hämäläinen, Mäkelä, Yliöylä, Virtanen |
    Helsinki/18/00##0, Jyväskylä/08/40###, Äänekoski/08/44###
IS | 1 | +3546###### | Þórdís, Guðmundur, Ægir | Þorsteinsdóttir, Guðmundsson, Björnsdóttir |
    Reykjavík//1##, Akureyri//600, Ísafjörður//400
NL | 4 | +316######## | Sjoerd, Renée, Daniël, IJsbrand, Fleur | van 't Hoff, de Vries, van den Berg-Bakker
    | Amsterdam/NH/10## @@, 's-Hertogenbosch/NB/52## @@, Den Haag/ZH/25## @@
BE | 2 | +32470###### | Zoë, Noël, Liesbeth, Jean-Noël | Vanden Broeck, D'Hondt, Peeters | Bruxelles//10##,
    Gent//90##, Liège//40##
PT | 3 | +35191####### | João, Conceição, Inês, Gonçalo | Gonçalves, da Conceição e Silva, Simões, Araújo |
    Lisboa/11/1###-###, Porto/13/4###-###, Évora/07/7000-###
BR | 5 | +55119######## | Thaís, Antônio, Luís Otávio, Jéssica, Raimundo Nonato | Magalhães, de Souza,
    Araújo Brandão, Sant'Anna, Nakamura | São Paulo/SP/0####-###, Brasília/DF/70###-###,
    Goiânia/GO/74###-###, Belém/PA/66###-###
MX | 4 | +5255######## | Xóchitl, José Ramón, Guadalupe, Cuauhtémoc | Hernández Ñíguez, Gutiérrez, Zúñiga |
    Ciudad de México//0####, Mérida//97###, Tlalnepantla de Baz//54###
CL | 1 | +569######## | Rayén, Sebastián, Ignacia | Peñailillo, Contreras, O'Higgins | Santiago/RM/83#####,
    Viña del Mar/VS/25#####, Ñuñoa/RM/77#####
US | 7 | +121255501## | Mary-Kate, DeShawn, José, Bo, La'Keisha, Ethan, Mei-Ling | O'Malley, Nguyen,
    Smith-Jones, McCarthy, Van Der Berg, Kealoha, Szczepanski | New York/NY/100##, Coeur d'Alene/ID/83814,
    Winston-Salem/NC/271##, Los Angeles/CA/900##, Honolulu/HI/968##-####
CA | 3 | +151455501## | Hélène, Jean-Sébastien, Siobhan, Gurpreet | Tremblay, Bélanger, Singh, LaFleur-Côté
    | Montréal/QC/H2@ #@#, Toronto/ON/M5@ #@#, Saint-Louis-du-Ha! Ha!/QC/G0L 3S0
GR | 3 | +30694####### | Γιώργος/giorgos, Ελένη/eleni, Χρυσούλα/chrysoula, Άγγελος/angelos |
    Παπαδόπουλος/papadopoulos, Ξενάκη/xenaki, Χατζηγιαννάκης/chatzigiannakis | Αθήνα//1## ##,
    Θεσσαλονίκη//54# ##, Ηράκλειο//71# ##
BG | 2 | +35988####### | Георги/georgi, Цветелина/tsvetelina, Щерьо/shteryo | Йорданов/yordanov,
    Жекова/zhekova | София/22/1###, Пловдив/16/40##, Варна/03/90##
UA | 4 | +38067####### | Олена/olena, Богдан/bohdan, Мар'яна/maryana, Ївга/yivha | Шевчук/shevchuk,
    Ковальчук/kovalchuk, Ґалаґан/galagan, Нечуй-Бондар/nechui-bondar | Київ/30/01###, Львів/46/79###,
    Одеса/51/65###
TR | 3 | +90532####### | Ömer, Gülşah, İbrahim, Işıl | Çağlar, Şahin, Öztürk, Yıldız | İstanbul/34/34###,
    Ankara/06/06###, İzmir/35/35###
IL | 1 | +97250####### | נועה/noa, איתי/itai | בן-דוד/ben-david, מזרחי/mizrahi | תל אביב-יפו/TA/61#####
AE | 2 | +97150####### | محمد/mohammed, فاطمة/fatima, عبد الرحمن/abdulrahman | الخطيب/alkhatib,
    المنصوري/almansoori | دبي/DU/, أبوظبي/AZ/
EG | 2 | +2010######## | نور/nour, يوسف/youssef, هاجر/hagar | حجازي/hegazi, السيد/elsayed | القاهرة//115##,
    الجيزة/GZ/125##
CN | 4 | +8613######### | 秀英/xiuying, 建国/jianguo, 思远/siyuan, 雨涵/yuhan | 欧阳/ouyang, 司马/sima,
    诸葛/zhuge, 上官/shangguan | 北京/BJ/1000##, 上海/SH/2000##, 广州/GD/5100##, 成都/SC/6100##
JP | 3 | +8190######## | さくら/sakura, 健太郎/kentaro, 陽菜/hina | 佐藤/sato, 長谷川/hasegawa,
    小野寺/onodera | 東京/13/1##-00##, 大阪/27/5##-00##, 京都/26/6##-00##
KR | 2 | +8210######## | 서연/seoyeon, 민준/minjun | 남궁/namgung, 황보/hwangbo | 서울/11/0####,
    부산/26/4####
IN | 4 | +9198######## | आरती/aarti, Priyanka, Venkata Subramaniam, Gurdeep | शर्मा/sharma, Iyer,
    Chattopadhyay, D'Souza | Mumbai/MH/4000##, Bengaluru/KA/5600##, Thiruvananthapuram/KL/6950##
TH | 1 | +6681####### | สมชาย/somchai, กัญญา/kanya | ศรีสุข/srisuk, วงศ์ใหญ่/wongyai | กรุงเทพมหานคร/10/10##0
VN | 2 | +8490####### | Thảo, Đức, Ngọc Ánh | Nguyễn, Đặng, Phạm Thị | Hà Nội/HN/1#0000, Hồ Chí
    Minh/SG/7#0000
NG | 2 | +23480######## | Chukwuemeka, Ọlábísí, Ngozi | Okonkwo-Adéyẹmí, Eze, Balogun | Lagos/LA/10####,
    Kano/KN/70####
ZA | 2 | +2782####### | Thandiwe, Pieter-Dirk, Nomvula | van der Merwe, Dlamini, Naidoo |
    Johannesburg/GP/2###, Cape Town/WC/8###
AU | 3 | +61491570### | Kylie, Bronte-Rose, Tane | Nguyen, O'Reilly, Papadakis | Perth/WA/6###,
    Adelaide/SA/5###, Sydney//2###
NZ | 1 | +6421###### | Wiremu, Māia | Tūroa, Ngata-Hēnare, McKenzie | Whangārei//0110,
    Taumatawhakatangihangakoauauotamateaturipukakapikimaungahoronukupokaiwhenuakitanatahu//4283
"""
COUNTRIES = tuple(Country(*record.split(" | ")) for record in PEOPLE.replace("\n    ", " ").splitlines())

VERTICALS = ("solar", "heat-pump", "car-insurance", "mortgage", "broadband", "e-mobility", "dental care")
SOURCES = ("google-ads", "facebook", "newsletter", "affiliate:north-17", "landing-page", "trade fair")
CAMPAIGNS = ("spring-2025", "2025_Q1_solar", "Été 2025 – pompes à chaleur", "Wärme & Winter", "retargeting/7")
COMMENTS = (
    "Please call after 6 pm",
    "Bitte nur per E-Mail, danke!",
    "Interested, but only if it is cheaper than 49,90 € a month",
    'Says "maybe next year"',
    "Ground floor, 2 roofs:\n- south 40 m²\n- west 25 m²",
    "Très urgent 🔥🔥",
    "👨‍👩‍👧‍👦 family of four, 4500 kWh",
    "=cheapest offer wins?",
    "+1 for a call back",
    "-10% voucher from the fair",
    "@anna asked us to try again",
    "今週中にお電話ください",
    "يرجى الاتصال بعد الظهر",
    "C:\\new\\roof; see photo <roof.jpg> & plan",
    "Preferisce essere ricontattata, è già cliente 🙂",
)
EMAIL_LOCALS = (
    *("{first}.{last}", "{first}.{last}", "{first}.{last}", "{last}.{first}", "{first}{last}{year}"),
    *("{initial}.{last}", "{first}_{last}", "{first}.{last}+{tag}", "{first}+{tag}-{row}", "{year}{row:05}"),
    *("{first}-{last}.{row}", "{last}/{first}={row}", "_{initial}{last}_"),
    "{first}.{last}.customer-number-{row:06}.second-mailbox-for-offers",
)
EMAIL_DOMAINS = (
    *("example.com", "example.com", "example.com", "example.org", "example.net", "mail.example.com"),
    *("web.test", "a1.mail.example.org", "family-name.example", "xn--mnchen-3ya.example", "2.example.net"),
)
SPELLED_OUT = {"ł": "l", "ø": "o", "ß": "ss", "æ": "ae", "œ": "oe", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}

Row = dict[str, str]

FAULTS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("email", lambda row: row["email"].replace("@", ".")),
    ("phone", lambda row: row["phone"][:6] + "CALLME"),
    ("phone", lambda row: "0" + row["phone"].lstrip("+")[2:]),
    ("dateOfBirth", lambda row: "1990-02-30"),
    ("dateOfBirth", lambda row: "2999-12-31"),
    ("dateOfBirth", lambda row: "/".join(reversed(row["dateOfBirth"].split("-")))),
    ("firstName", lambda row: row["firstName"][0]),
    ("lastName", lambda row: ""),
    ("countryCode", lambda row: "XX"),
    ("provinceCode", lambda row: f"{row['countryCode']}-{row['provinceCode'] or '01'}"),
    ("email", lambda row: row["email"].replace("@", "@" + "a-very-long-label-of-a-subdomain." * 8)),
    ("zipCode", lambda row: f"{row['zipCode']} {row['city']}, third floor, left"),
)


def latin(name: str) -> str:
    """The name as it may stand in an email address: a-z, apostrophes and hyphens."""
    spelled = "".join(SPELLED_OUT.get(letter, letter) for letter in name.lower())
    plain = unicodedata.normalize("NFKD", spelled)
    return "".join(letter for letter in plain if letter in "abcdefghijklmnopqrstuvwxyz'-")


def filled(pattern: str, rng: Random) -> str:
    """The pattern with each `#` made a digit and each `@` a capital letter."""
    alphabets = {"#": "0123456789", "@": "ABCDEFGHJKLMNPRSTUWXYZ"}
    return "".join(rng.choice(alphabets[sign]) if sign in alphabets else sign for sign in pattern)


def name_of(names: str, rng: Random) -> tuple[str, str]:
    """One of the names, and how it is written in an email address."""
    native, _, spelling = rng.choice(names.split(", ")).partition("/")
    return native, latin(spelling or native)


def email_of(number: int, first: str, last: str, taken: set[str], rng: Random) -> str:
    """An address that is not in `taken`, whatever the case of its letters; it is added there."""
    year, tag = rng.randrange(1950, 2007), rng.choice(("offers", "solar", "2025"))
    shape = rng.choice(EMAIL_LOCALS)
    local = shape.format(first=first, last=last, initial=first[0], row=number, year=year, tag=tag)
    domain = rng.choice(EMAIL_DOMAINS)
    if f"{local}@{domain}".casefold() in taken:
        local = f"{first}.{number}"
    address = f"{local[:64].rstrip('.')}@{domain}"
    taken.add(address.casefold())
    return address.upper() if rng.randrange(25) == 0 else address


def sometimes(value: str, percent: int, rng: Random) -> str:
    """The value in `percent` of 100 cases, else an empty cell."""
    return value if rng.randrange(100) < percent else ""


def person(number: int, country: Country, taken: set[str], rng: Random) -> Row:
    """The columns that a lead must have, all valid."""
    first_name, first = name_of(country.first_names, rng)
    last_name, last = name_of(country.last_names, rng)
    phone = filled(country.phone, rng)
    born = date.fromordinal(rng.randrange(date(1935, 1, 1).toordinal(), date(2007, 1, 1).toordinal()))
    return {
        "firstName": first_name,
        "lastName": last_name,
        "email": email_of(number, first, last, taken, rng),
        "phone": phone if rng.randrange(8) else phone.lstrip("+"),
        "dateOfBirth": "1996-02-29" if number % 400 == 60 else born.isoformat(),
    }


def extras(number: int, rng: Random) -> Row:
    """The columns that a lead may have, all valid, apart from the address."""
    web_id = f"web:{rng.getrandbits(64):016x}"
    references = (f"CRM-2025-{number:06}", f"A/17-{number}", f"Kundennr. {number} ü", web_id)
    return {
        "verticals": sometimes("|".join(rng.sample(VERTICALS, rng.randrange(1, 4))), 92, rng),
        "clientReference": sometimes(rng.choice(references), 60, rng),
        "source": sometimes(rng.choice(SOURCES), 90, rng),
        "campaign": sometimes(rng.choice(CAMPAIGNS), 70, rng),
        "comment": sometimes(rng.choice(COMMENTS), 35, rng),
    }


def address(country: Country, whole: bool, rng: Random) -> Row:
    """City, zip code, province and country; `whole` says that no cell is left empty by chance."""
    city, province, zip_pattern = rng.choice(country.cities.split(", ")).split("/")
    known = 100 if whole else 94
    if not whole and rng.randrange(100) < 5:
        return dict.fromkeys(ADDRESS, "")
    return {
        "city": sometimes(city, known, rng),
        "zipCode": sometimes(filled(zip_pattern, rng), known, rng),
        "provinceCode": sometimes(province, known, rng),
        "countryCode": country.code,
    }


def make_rows() -> Iterator[Row]:
    """All rows in order, each with every column of COLUMNS."""
    rng = Random(SEED)
    taken: set[str] = set()
    weighted = [country for country in COUNTRIES for _ in range(int(country.weight))]
    for index in range(ROWS):
        country = rng.choice(weighted)
        bad = index % BAD_EVERY == FIRST_BAD
        row = person(index + 1, country, taken, rng) | address(country, bad, rng) | extras(index + 1, rng)
        if bad:
            column, spoiled = FAULTS[index // BAD_EVERY % len(FAULTS)]
            row[column] = spoiled(row)
        yield row


def main() -> None:
    """Write the file named on the command line, or leads.csv beside this script."""
    parser = argparse.ArgumentParser(description="Write the sample leads, the same bytes each time.")
    parser.add_argument("path", nargs="?", type=Path, default=Path(__file__).with_name("leads.csv"))
    with parser.parse_args().path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(make_rows())


if __name__ == "__main__":
    main()
