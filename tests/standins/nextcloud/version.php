<?php
$OC_Version = array(32,0,2,2);
$OC_VersionString = '32.0.2';
$OC_VersionCanBeUpgradedFrom = array (
  'nextcloud' =>
  array (
    '31.0' => true,
    '32.0' => true,
  ),
);
$OC_Build = 'stand-in';
$vendor = 'nextcloud';
