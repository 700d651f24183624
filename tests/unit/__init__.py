"""Tests of one module each: tables, no network, no other program."""
