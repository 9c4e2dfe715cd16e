<?php
define( 'DB_NAME', 'blog' );
define( 'DB_PASSWORD', 'pw-17' );
define( 'AUTH_KEY', 'k 18' );
$table_prefix = 'wp_';
