<?php
class lang_installer {
    const RESULT_INSTALLED = 'installed';
    public function __construct(private string $language) {
    }
    public function run(): array {
        return [];
    }
}
