<?php // As upstream: a place for what PHP is too old or too new.
