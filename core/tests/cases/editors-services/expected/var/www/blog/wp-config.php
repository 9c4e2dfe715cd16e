<?php
define( 'DB_NAME', 'blog' );
define( 'DB_PASSWORD', '' );
define( 'AUTH_KEY', '' );
$table_prefix = 'wp_';
