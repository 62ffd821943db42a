<?php
const TEXTFILTER_ON = 1;
const TEXTFILTER_OFF = -1;
const TEXTFILTER_DISABLED = -9999;
function filter_get_global_states(): array {
    return ['mathjaxloader' => (object) ['active' => get_config('standin', 'mathjaxloader') ?: TEXTFILTER_DISABLED]];
}
function filter_set_global_state($name, $state): void {
    set_config($name, $state, 'standin');
}
