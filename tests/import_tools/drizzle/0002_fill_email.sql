UPDATE `authors` SET `email` = lower(`name`) || '@example.org' WHERE `email` IS NULL;--> statement-breakpoint
UPDATE `posts` SET `body` = '' WHERE `body` IS NULL;
