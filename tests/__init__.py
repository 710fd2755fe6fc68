"""Tests of skygraft: unit, integration (local servers with faults), workflow and live."""
