"""The vocabulary: frozen values that every layer shares. No I/O, no clock, no foreign services.

Values are ``msgspec.Struct``, so the plan and journal records that are made of them decode with
their types checked. docs/glossary.md says what each word means.
"""
