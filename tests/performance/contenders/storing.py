"""The transaction of those that store: the message's id once, and one row read under lock and changed."""

from datetime import datetime

from sqlalchemy import DateTime, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Seen(Base):
    """A message that took effect."""

    __tablename__ = "gezien"
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    received: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Dossier(Base):
    """What is known of one traject."""

    __tablename__ = "dossier"
    trajectnummer: Mapped[str] = mapped_column(Text, primary_key=True)
    state: Mapped[dict[str, str]] = mapped_column(JSONB)
