<?php
function admin_apply_default_settings($node, $unconditional): void {
}
